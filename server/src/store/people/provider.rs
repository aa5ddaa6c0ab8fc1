//! People whom a provider of OpenID Connect names.

use sqlx::{query, query_as, query_scalar};

use super::change::{TAKEN, add, end_sessions, keep_an_admin, set};
use super::{NewPerson, ProviderPerson, StoredPerson};
use crate::store::database::transaction::TransactionConnection;
use crate::store::people::read::PersonRow;
use crate::store::{Result, Store, StoreError};

const OTHER: StoreError =
    StoreError::Invalid("The provider knows the account with this email by another name.");

impl Store {
    /// The person whom a provider knows by this name.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn person_by_identity(&self, issuer: &str, subject: &str) -> Result<StoredPerson> {
        let found: PersonRow = query_as(
            "select people.* from people join identities on identities.person = people.id
             where identities.issuer = $1 and identities.subject = $2",
        )
        .bind(self.database.text(issuer))
        .bind(self.database.text(subject))
        .fetch_one(self.single_read())
        .await?;
        Ok(found.into())
    }

    /// Whether somebody with this email was invited and has not come yet.
    ///
    /// # Errors
    /// `Failed`.
    pub async fn is_invited(&self, email: &str, now: i64) -> Result<bool> {
        let invitations: i64 = query_scalar(
            "select count(*) from invitations
             where email = $1 and person is null and used_at is null and expires_at > $2",
        )
        .bind(email)
        .bind(now)
        .fetch_one(self.single_read())
        .await?;
        Ok(invitations > 0)
    }

    /// The token of the session with this hash, if a provider gave one.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn id_token_of(&self, hash: &str) -> Result<Option<String>> {
        Ok(
            query_scalar("select id_token from sessions where hash = $1")
                .bind(hash)
                .fetch_one(self.single_read())
                .await?,
        )
    }

    pub(super) async fn meet(
        &self,
        tx: &mut TransactionConnection,
        met: &ProviderPerson,
        now: i64,
    ) -> Result<()> {
        let (issuer, subject) = (
            self.database.text(&met.issuer),
            self.database.text(&met.subject),
        );
        let known: Option<String> =
            query_scalar("select person from identities where issuer = $1 and subject = $2")
                .bind(&issuer)
                .bind(&subject)
                .fetch_optional(&mut *tx)
                .await?;
        let person = match known {
            Some(person) => person,
            None => {
                let person = self.account_of(tx, met, now).await?;
                // Else whoever gets the email of somebody else at the provider would get the account too.
                let others: i64 = query_scalar(
                    "select count(*) from identities where person = $1 and issuer = $2",
                )
                .bind(&person)
                .bind(&issuer)
                .fetch_one(&mut *tx)
                .await?;
                if others > 0 {
                    return Err(OTHER);
                }
                query(
                    "insert into identities (issuer, subject, person, created_at) values ($1, $2, $3, $4)",
                )
                .bind(&issuer)
                .bind(&subject)
                .bind(&person)
                .bind(now)
                .execute(&mut *tx)
                .await?;
                person
            }
        };
        if let Some(groups) = &met.groups {
            let groups = self.database.text(groups);
            set(
                tx,
                "update people set member_of = $2 where id = $1",
                &person,
                &groups,
            )
            .await?;
        }
        let Some(role) = &met.role else {
            return Ok(());
        };
        let present: String = query_scalar("select role from people where id = $1")
            .bind(&person)
            .fetch_one(&mut *tx)
            .await?;
        if present == *role {
            return Ok(());
        }
        // The last admin stays one, whatever the provider says.
        if role != "admin"
            && let Err(StoreError::Invalid(_)) = keep_an_admin(tx, &person).await
        {
            return Ok(());
        }
        set(
            tx,
            "update people set role = $2 where id = $1",
            &person,
            role,
        )
        .await?;
        end_sessions(tx, &person, None).await
    }

    /// The account with the email of the person. If there is none, it is made, and an invitation is used up.
    async fn account_of(
        &self,
        tx: &mut TransactionConnection,
        met: &ProviderPerson,
        now: i64,
    ) -> Result<String> {
        let new = &met.person;
        let present: Option<String> = query_scalar("select id from people where email = $1")
            .bind(&new.email)
            .fetch_optional(&mut *tx)
            .await?;
        if let Some(present) = present {
            return Ok(present);
        }
        let taken: i64 = query_scalar("select count(*) from people where likeness = $1")
            .bind(&new.likeness)
            .fetch_one(&mut *tx)
            .await?;
        if taken > 0 {
            return Err(TAKEN);
        }
        let invited: Option<String> = query_scalar(
            "select role from invitations
             where email = $1 and person is null and used_at is null and expires_at > $2",
        )
        .bind(&new.email)
        .bind(now)
        .fetch_optional(&mut *tx)
        .await?;
        query("update invitations set used_at = $2 where email = $1 and used_at is null")
            .bind(&new.email)
            .bind(now)
            .execute(&mut *tx)
            .await?;
        let person = NewPerson {
            name: self.database.text(&new.name),
            role: invited.unwrap_or_else(|| new.role.clone()),
            ..new.clone()
        };
        add(tx, &person, None, now).await?;
        Ok(person.id)
    }
}
